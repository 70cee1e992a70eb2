/**
 * Values of the mirrored MCP headers (`Mcp-Name`, `Mcp-Param-*`) of revision 2026-07-28, section "Value encoding":
 * plain where the bytes are printable ASCII, the base64 sentinel where they are not.
 */
const sentinelStart = "=?base64?";
const sentinelEnd = "?=";
const base64 = /^(?:[A-Za-z0-9+/]{4})*(?:[A-Za-z0-9+/]{2}==|[A-Za-z0-9+/]{3}=)?$/;

/** The header value that stands for `value`. */
export function encodeHeaderValue(value: string): string {
  if (isPlain(value) && !value.startsWith(sentinelStart)) return value;
  return sentinelStart + Buffer.from(value, "utf8").toString("base64") + sentinelEnd;
}

/**
 * The value a header stands for; undefined where a sentinel holds no valid base64 of UTF-8. Half a sentinel is none:
 * such a value stands for itself.
 */
export function decodeHeaderValue(header: string): string | undefined {
  const text = header.trim();
  const isSentinel =
    text.startsWith(sentinelStart) &&
    text.endsWith(sentinelEnd) &&
    text.length >= sentinelStart.length + sentinelEnd.length;
  if (!isSentinel) return text;
  const encoded = text.slice(sentinelStart.length, -sentinelEnd.length);
  if (!base64.test(encoded)) return undefined;
  try {
    return new TextDecoder("utf-8", { fatal: true, ignoreBOM: true }).decode(
      Buffer.from(encoded, "base64"),
    );
  } catch {
    return undefined;
  }
}

function isPlain(value: string): boolean {
  if (value.trim() !== value) return false;
  for (let at = 0; at < value.length; at += 1) {
    const code = value.charCodeAt(at);
    if ((code < 0x20 && code !== 0x09) || code > 0x7e) return false;
  }
  return true;
}
