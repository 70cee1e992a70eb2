/**
 * Seals one secret at rest: AES-256-GCM under a key derived from `secrets.key`, a random nonce each time, and the
 * secret's place (server and field) as associated data, so that a sealed value moved elsewhere does not open. Used by
 * `sealed-resources.ts`; knows no resource.
 */
import { createCipheriv, createDecipheriv, createHmac, hkdfSync, randomBytes } from "node:crypto";
import { GatewayError } from "../../errors/fault.ts";

export interface SecretSealer {
  /** `place` is where the value belongs, such as `server "files": header x-api-key`. */
  seal(place: string, plain: string): string;
  /** Throws GatewayError internal for a value of another key or place, or one that was changed. */
  open(place: string, sealed: string): string;
}

const prefix = "sealed:1:";
const nonceBytes = 12;
const tagBytes = 16;
const tagLength = { authTagLength: tagBytes };
const format = /^sealed:1:([0-9a-f]{16}):([A-Za-z0-9_-]{38,})$/;

/** Whether a stored value is sealed; a plain one is from before there was a key. */
export function isSealed(value: string): boolean {
  return value.startsWith(prefix);
}

/** `keyPath` is for the message alone. */
export function createSecretSealer(key: Buffer, keyPath: string): SecretSealer {
  const sealKey = Buffer.from(hkdfSync("sha256", key, "", "mcp-gateway secrets at rest", 32));
  const keyId = createHmac("sha256", key).update("secrets key id").digest("hex").slice(0, 16);
  return {
    seal(place, plain) {
      const nonce = randomBytes(nonceBytes);
      const cipher = createCipheriv("aes-256-gcm", sealKey, nonce, tagLength);
      cipher.setAAD(Buffer.from(place));
      const sealed = [nonce, cipher.update(plain, "utf8"), cipher.final(), cipher.getAuthTag()];
      return `${prefix}${keyId}:${Buffer.concat(sealed).toString("base64url")}`;
    },
    open(place, sealed) {
      const [, sealedUnder, text = ""] = format.exec(sealed) ?? [];
      if (sealedUnder === undefined) throw unusable(place);
      if (sealedUnder !== keyId) {
        throw new GatewayError(
          "internal",
          `${place} is sealed under key ${sealedUnder}, but ${keyPath} holds key ${keyId}: nodes that share a ` +
            "database share one key, so copy that file or name it in servers.secrets_key_file",
        );
      }
      const bytes = Buffer.from(text, "base64url");
      try {
        const nonce = bytes.subarray(0, nonceBytes);
        const decipher = createDecipheriv("aes-256-gcm", sealKey, nonce, tagLength);
        decipher.setAAD(Buffer.from(place));
        decipher.setAuthTag(bytes.subarray(-tagBytes));
        const plain = decipher.update(bytes.subarray(nonceBytes, -tagBytes));
        return Buffer.concat([plain, decipher.final()]).toString("utf8");
      } catch {
        throw unusable(place);
      }
    },
  };
}

function unusable(place: string): GatewayError {
  return new GatewayError(
    "internal",
    `${place} does not open: the stored value was changed, or belongs somewhere else; register the server again`,
  );
}
