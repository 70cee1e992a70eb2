/** The boot key's certificate: believed from the node's key alone, and from no other key, log or statement. */
import { expect, test } from "bun:test";
import {
  certifyBootKey,
  renderBootCertificate,
  verifyBootCertificate,
} from "../../../../src/audit/evidence/boot-certificate.ts";
import { createSigningKey } from "../../../../src/audit/evidence/keys.ts";
import { renderNote, signText } from "../../../../src/audit/evidence/note.ts";

const origin = "mcp-gateway/log";
const nodeKey = createSigningKey(origin);
const bootKey = createSigningKey(origin);
const tree = { size: 3, root: new Uint8Array(32).fill(5) };
const certificate = certifyBootKey(nodeKey, bootKey.verifier, tree);

test("the node's key vouches for the boot key and the tree it adopted", () => {
  const found = verifyBootCertificate(renderBootCertificate(certificate), [nodeKey.verifier]);
  expect(found).toEqual({ key: bootKey.verifier, origin, treeSize: 3 });
});

test("a certificate altered in any part is not believed", () => {
  const other = certifyBootKey(nodeKey, createSigningKey(origin).verifier, tree);
  for (const altered of [
    { ...certificate, bootKey: other.bootKey },
    { ...certificate, treeSize: 4 },
    { ...certificate, treeRoot: "0".repeat(64) },
    { ...certificate, bootSignature: other.bootSignature },
  ]) {
    const note = renderBootCertificate(altered);
    expect(() => verifyBootCertificate(note, [nodeKey.verifier])).toThrow("is not over this text");
  }
});

test("one by another node's key is not believed", () => {
  const note = renderBootCertificate(certificate);
  expect(() => verifyBootCertificate(note, [bootKey.verifier])).toThrow("none of the known keys");
});

test("what the node's key signed of something else is no certificate", () => {
  for (const text of ["mcp-gateway/log\n1\nAAAA\n", "mcp-gateway boot key v1\n"]) {
    const note = renderNote({ text, signatures: [signText(text, nodeKey)] });
    expect(() => verifyBootCertificate(note, [nodeKey.verifier])).toThrow("must be a note");
  }
});

test("a boot key is not believed for another log", () => {
  const foreign = certifyBootKey(nodeKey, createSigningKey("mcp-gateway/other").verifier, tree);
  const text = `mcp-gateway boot key v1\n${origin}\n${foreign.bootKey}\n3\n${foreign.treeRoot}\n`;
  const note = renderNote({ text, signatures: [signText(text, nodeKey)] });
  expect(() => verifyBootCertificate(note, [nodeKey.verifier])).toThrow("not one that signs for");
});
