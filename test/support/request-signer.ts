/** Signs requests as a client would (RFC 9421), with node:crypto alone and by the text of the standard. */
import { createHmac, hash, randomUUID } from "node:crypto";
import type { Prove } from "./wires.ts";

export interface Signing {
  readonly keyId: string;
  /** base64url, as IssueSigningSecret shows it. */
  readonly secret: string;
  readonly nonce?: string;
  readonly createdSeconds?: number;
  /** What is digested and signed instead of what is sent. */
  readonly body?: string;
}

export function createSigner({ keyId, secret, ...more }: Signing): Prove {
  return async ({ method, url, body, token }) => {
    const sent = more.body ?? body;
    const lines: [string, string][] = [
      ["@method", method],
      ["@target-uri", url],
    ];
    const headers: Record<string, string> = {};
    if (token !== undefined) lines.push(["authorization", `Bearer ${token}`]);
    if (sent !== "") {
      headers["Content-Digest"] = `sha-256=:${hash("sha256", sent, "base64")}:`;
      lines.push(["content-digest", headers["Content-Digest"]]);
    }
    const nowSeconds = Math.floor((performance.timeOrigin + performance.now()) / 1000);
    const created = more.createdSeconds ?? nowSeconds;
    const nonce = more.nonce ?? randomUUID();
    const covered = lines.map(([name]) => `"${name}"`).join(" ");
    const parameters = `(${covered});created=${created};keyid="${keyId}";nonce="${nonce}"`;
    const base = [...lines, ["@signature-params", parameters]]
      .map(([name, value]) => `"${name}": ${value}`)
      .join("\n");
    const mac = createHmac("sha256", Buffer.from(secret, "base64url")).update(base);
    headers["Signature-Input"] = `sig=${parameters}`;
    headers.Signature = `sig=:${mac.digest("base64")}:`;
    return headers;
  };
}
