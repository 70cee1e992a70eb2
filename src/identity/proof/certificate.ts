/**
 * What a caller's certificate says of it, and whether a client was registered with that: `sha256:<hex>` for one
 * certificate, `dns:<name>` or `uri:<uri>` for whatever the authority issued to that name. Whether the authority
 * issued it, the listener or the trusted proxy has checked before.
 */
import { hash, X509Certificate } from "node:crypto";

export interface CallerCertificate {
  /** Hex. */
  readonly sha256: string;
  /** `x5t#S256` of RFC 8705. */
  readonly thumbprint: string;
  /** In the form clients are registered with: `sha256:…`, `dns:…`, `uri:…`. */
  readonly names: ReadonlySet<string>;
  /** Wall-clock ms. */
  readonly validFromMs: number;
  readonly validToMs: number;
}

const derBytesMax = 64 * 1024;
const namesMax = 64;
/** A connection's certificate is one object for all its requests. */
const read = new WeakMap<Uint8Array, CallerCertificate | "unreadable">();

/** Undefined where the bytes are no certificate. */
export function readCertificate(der: Uint8Array): CallerCertificate | undefined {
  const known = read.get(der);
  if (known !== undefined) return known === "unreadable" ? undefined : known;
  const found = parse(der);
  read.set(der, found ?? "unreadable");
  return found;
}

function parse(der: Uint8Array): CallerCertificate | undefined {
  if (der.byteLength > derBytesMax) return undefined;
  try {
    const certificate = new X509Certificate(der);
    const sha256 = hash("sha256", certificate.raw, "hex");
    return Object.freeze({
      sha256,
      thumbprint: Buffer.from(sha256, "hex").toString("base64url"),
      names: new Set([`sha256:${sha256}`, ...alternativeNames(certificate.subjectAltName)]),
      validFromMs: Date.parse(certificate.validFrom),
      validToMs: Date.parse(certificate.validTo),
    });
  } catch {
    return undefined;
  }
}

/** Node writes a name that could be taken for several in quotes: such a name is nobody's. */
function alternativeNames(text: string | undefined): readonly string[] {
  if (text === undefined || text.includes('"')) return [];
  return text
    .split(", ")
    .slice(0, namesMax)
    .flatMap((entry) => {
      const at = entry.indexOf(":");
      const [kind, name] = [entry.slice(0, at), entry.slice(at + 1)];
      if (kind === "DNS") return [`dns:${name.toLowerCase()}`];
      return kind === "URI" ? [`uri:${name}`] : [];
    });
}
