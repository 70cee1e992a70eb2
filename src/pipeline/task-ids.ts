/**
 * What agents know a task by (reference section 4.5, AZ-07): the server's own id, encrypted together with the server
 * and the tool, for one principal. The same task has the same id with every answer and after a restart, and every
 * node with the same token key reads it; an id made up, or of another principal, opens to nothing. No state is kept.
 */
import { createCipheriv, createHmac, hkdfSync, timingSafeEqual } from "node:crypto";
import { encodeTuple } from "../cache/cache-key.ts";

export interface TaskOwner {
  readonly tenant: string | undefined;
  readonly principalId: string;
}

export interface ServerTask {
  readonly server: string;
  /** The tool whose call became the task, under the server's own name. */
  readonly tool: string;
  /** The server's own id. */
  readonly taskId: string;
}

export interface TaskIds {
  /** Undefined where the server's id is too long to be carried. */
  seal(owner: TaskOwner, task: ServerTask): string | undefined;
  open(owner: TaskOwner, sealed: string): ServerTask | undefined;
}

/** Longest id taken from a server, in bytes of UTF-8: it travels in a header. */
export const taskIdBytesMax = 1_024;
const nameBytesMax = 1_024;

const version = 1;
const ivBytes = 16;
const sealedCharsMax = Math.ceil(((1 + ivBytes + taskIdBytesMax + nameBytesMax) * 4) / 3);

export function createTaskIds(options: {
  /** The key that nodes of one database share. */
  readonly tokenKey: Buffer;
}): TaskIds {
  const keyFor = (part: string) => {
    const purpose = `mcp-gateway task id, version ${version}, ${part}`;
    return Buffer.from(hkdfSync("sha256", options.tokenKey, "", purpose, 32));
  };
  const macKey = keyFor("authentication");
  const cipherKey = keyFor("encryption");

  /** Both the proof of owner and content, and the nonce: equal ids come of equal tasks of one principal alone. */
  function proofOf({ tenant, principalId }: TaskOwner, plain: Buffer): Buffer {
    const mac = createHmac("sha256", macKey);
    return mac
      .update(encodeTuple([tenant, principalId]))
      .update(plain)
      .digest()
      .subarray(0, ivBytes);
  }

  /** Its own inverse. */
  function crypt(iv: Buffer, bytes: Buffer): Buffer {
    const cipher = createCipheriv("aes-256-ctr", cipherKey, iv);
    return Buffer.concat([cipher.update(bytes), cipher.final()]);
  }

  return {
    seal(owner, { server, tool, taskId }) {
      const plain = Buffer.from(JSON.stringify([server, tool, taskId]));
      if (plain.length > taskIdBytesMax + nameBytesMax) return undefined;
      if (Buffer.byteLength(taskId) > taskIdBytesMax) return undefined;
      const iv = proofOf(owner, plain);
      return Buffer.concat([Buffer.of(version), iv, crypt(iv, plain)]).toString("base64url");
    },
    open(owner, sealed) {
      if (sealed.length > sealedCharsMax) return undefined;
      const bytes = Buffer.from(sealed, "base64url");
      if (bytes.length <= 1 + ivBytes || bytes[0] !== version) return undefined;
      // The decoder forgives stray characters and spare bits; one task has one id.
      if (bytes.toString("base64url") !== sealed) return undefined;
      const iv = bytes.subarray(1, 1 + ivBytes);
      const plain = crypt(iv, bytes.subarray(1 + ivBytes));
      if (!timingSafeEqual(proofOf(owner, plain), iv)) return undefined;
      const [server, tool, taskId] = JSON.parse(plain.toString()) as [string, string, string];
      return { server, tool, taskId };
    },
  };
}
