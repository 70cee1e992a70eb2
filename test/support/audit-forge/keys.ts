/** Ed25519 keys and signed notes as C2SP writes them, made for tests without any code of the gateway. */
import { createHash, createPrivateKey, createPublicKey, type KeyObject, sign } from "node:crypto";

export interface ForgedKey {
  readonly name: string;
  readonly vkey: string;
  readonly id: Buffer;
  sign(text: string): Buffer;
}

const privateHead = Buffer.from("302e020100300506032b657004220420", "hex");

/** The key of 32 bytes, so that a seed makes the same log again. */
export function forgeKey(name: string, seed: Buffer): ForgedKey {
  const key: KeyObject = createPrivateKey({
    key: Buffer.concat([privateHead, seed]),
    format: "der",
    type: "pkcs8",
  });
  const spki = createPublicKey(key).export({ type: "spki", format: "der" });
  const bytes = Buffer.concat([Buffer.from([1]), spki.subarray(-32)]);
  const id = createHash("sha256").update(`${name}\n`).update(bytes).digest().subarray(0, 4);
  return {
    name,
    vkey: `${name}+${id.toString("hex")}+${bytes.toString("base64")}`,
    id,
    sign: (text) => sign(null, Buffer.from(text), key),
  };
}

export function forgeNote(text: string, keys: readonly ForgedKey[]): string {
  const lines = keys.map((key) => {
    const line = Buffer.concat([key.id, key.sign(text)]).toString("base64");
    return `— ${key.name} ${line}\n`;
  });
  return `${text}\n${lines.join("")}`;
}
