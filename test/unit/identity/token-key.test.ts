/** A gateway under another token key refuses to start: every stored token would be a puzzling 401. */
import { expect, test } from "bun:test";
import { checkTokenKey, tokenKeyId } from "../../../src/identity/token-key.ts";

const path = "data/token.key";

test("A02: a key that stored tokens were not made under is refused, naming the file and the client", () => {
  const [own, other] = [Buffer.alloc(32, 1), Buffer.alloc(32, 2)];
  const tokens = [{ keyId: tokenKeyId(own), clientId: "ci" }];
  checkTokenKey(own, path, tokens);
  checkTokenKey(other, path, []);
  expect(() => checkTokenKey(other, path, tokens)).toThrow(
    /client ci .*token\.key .*token_key_file/,
  );
  expect(own.toString("hex")).not.toContain(tokenKeyId(own));
});
