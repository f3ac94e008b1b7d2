// A transform that takes no water warmer than 15 °C for true: it returns such records as ProcessingFailed.

export async function handler(event) {
  const records = event.records.map((record) => {
    const payload = JSON.parse(Buffer.from(record.data, "base64").toString());
    if (payload.temp > 15) return { recordId: record.recordId, result: "ProcessingFailed", data: record.data };
    payload.buoy_id = Number(payload.buoy_id);
    const data = Buffer.from(JSON.stringify(payload)).toString("base64");
    return { recordId: record.recordId, result: "Ok", data };
  });
  return { records };
}
