"""The nine procedures, by key of the sensor."""

from buoyfleet.calibration.procedure import Procedure
from buoyfleet.calibration.procedures.conductivity import Conductivity
from buoyfleet.calibration.procedures.flow import Flow
from buoyfleet.calibration.procedures.level import Level
from buoyfleet.calibration.procedures.oxygen import Oxygen
from buoyfleet.calibration.procedures.ph import Ph
from buoyfleet.calibration.procedures.pressure import Pressure
from buoyfleet.calibration.procedures.solids import Solids
from buoyfleet.calibration.procedures.temperature import Temperature
from buoyfleet.calibration.procedures.turbidity import Turbidity

# Temperature first: the others lean on it.
PROCEDURES: dict[str, type[Procedure]] = {
    one.key: one for one in (Temperature, Ph, Conductivity, Oxygen, Solids, Turbidity, Pressure, Flow, Level)
}
