/**
 * What a well-formed revocation of another issuer's tokens looks like. Beside `resource-shapes.ts`, which has the others.
 */
import {
  integer,
  matching,
  object,
  optional,
  refuseField,
  type Shape,
  text,
} from "./body-shape.ts";
import type { RevocationResource } from "./resources.ts";

const timeMaxMs = 8.64e15;

const revocationFields = object<RevocationResource>({
  id: matching(/^[0-9a-f]{32}$/, 32, "32 hex digits"),
  issuer: text(2048, 1),
  tokenId: optional(text(256, 1)),
  subject: optional(text(256, 1)),
  issuedUntilMs: optional(integer(0, timeMaxMs)),
  expiresAtMs: optional(integer(0, timeMaxMs)),
  reason: text(1024),
});

export const revocationShape: Shape<RevocationResource> = (value, path) => {
  const read = revocationFields(value, path);
  const isOfSubject = read.subject !== undefined;
  if (isOfSubject === (read.tokenId !== undefined)) {
    return refuseField(path, "must have a tokenId or a subject");
  }
  if (isOfSubject !== (read.issuedUntilMs !== undefined)) {
    return refuseField(path, "issuedUntilMs goes with a subject");
  }
  return read;
};
