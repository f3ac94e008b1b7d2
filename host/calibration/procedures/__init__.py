"""The nine procedures, by key of the sensor."""

from host.calibration.procedure import Procedure
from host.calibration.procedures.conductivity import Conductivity
from host.calibration.procedures.flow import Flow
from host.calibration.procedures.level import Level
from host.calibration.procedures.oxygen import Oxygen
from host.calibration.procedures.ph import Ph
from host.calibration.procedures.pressure import Pressure
from host.calibration.procedures.solids import Solids
from host.calibration.procedures.temperature import Temperature
from host.calibration.procedures.turbidity import Turbidity

# Temperature first: the others lean on it.
PROCEDURES: dict[str, type[Procedure]] = {
    one.key: one for one in (Temperature, Ph, Conductivity, Oxygen, Solids, Turbidity, Pressure, Flow, Level)
}
