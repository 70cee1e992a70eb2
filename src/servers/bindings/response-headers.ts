/**
 * What the headers of a server's HTTP answer say: its media type, and how long to wait. Pure; the Streamable HTTP
 * binding reads with it.
 */
export function mediaType(header: string | undefined): string | undefined {
  if (header === undefined || header === "application/json") return header;
  const end = header.indexOf(";");
  return (end === -1 ? header : header.slice(0, end)).trim().toLowerCase();
}

/** `Retry-After` in seconds; dates and nonsense are ignored, the fault clamps the rest. */
export function retryAfterMs(header: string | undefined): number | undefined {
  if (header === undefined || !/^[0-9]{1,10}$/.test(header)) return undefined;
  return Number(header) * 1_000;
}
