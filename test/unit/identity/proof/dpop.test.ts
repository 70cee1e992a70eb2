/** DPoP proofs made by jose, good and spoilt (AN-21). */
import { expect, test } from "bun:test";
import { createDpopCheck } from "../../../../src/identity/proof/dpop.ts";
import { createReplays } from "../../../../src/identity/proof/replays.ts";
import { systemClock } from "../../../../src/lib/clock.ts";
import { createDpopKey, type ProvenRequest } from "../../../support/proofs.ts";

const request: ProvenRequest = {
  method: "POST",
  url: "https://gateway.example/notes/mcp",
  token: "a.b.c",
};
const nowSeconds = Math.floor(systemClock.nowMs() / 1000);

function evidenceOf(proof: string | undefined, url = `${request.url}?a=1`) {
  const headers = new Headers(proof === undefined ? {} : { dpop: proof });
  return { method: "POST", url, headers, certificate: undefined, body: undefined };
}

function check(needsNonce = false) {
  const replays = createReplays({ clock: systemClock, usedMax: 100 });
  return createDpopCheck({ clock: systemClock, replays, windowSeconds: 120, needsNonce });
}

test("AN-21: a good proof names the key that made it, once", async () => {
  for (const alg of ["ES256", "EdDSA"] as const) {
    const key = await createDpopKey(alg);
    const dpop = check();
    const proof = await key.prove(request);
    expect(await dpop.verify(evidenceOf(proof), request.token)).toEqual({
      thumbprint: key.thumbprint,
    });
    expect(await dpop.verify(evidenceOf(proof), request.token)).toEqual({
      why: "the DPoP proof was used before",
    });
  }
});

test("AN-21: addresses are compared without query, case of host, default port and wss", async () => {
  const key = await createDpopKey();
  const same = ["wss://gateway.example/notes/mcp", "https://GATEWAY.example:443/notes/mcp#x"];
  for (const htu of same) {
    const proof = await key.prove(request, { htu });
    expect(await check().verify(evidenceOf(proof), request.token)).toHaveProperty("thumbprint");
  }
});

const spoilt: Readonly<Record<string, object>> = {
  "another address": { htu: "https://gateway.example/all/mcp" },
  "another host": { htu: "https://evil.example/notes/mcp" },
  "no address": { htu: undefined },
  "a list of addresses": { htu: [request.url] },
  "another method": { htm: "GET" },
  "method in lower case": { htm: "post" },
  "another token": { ath: "AAAA" },
  "no token": { ath: undefined },
  "no jti": { jti: undefined },
  "endless jti": { jti: "j".repeat(257) },
  "too old": { iat: nowSeconds - 200 },
  "from the future": { iat: nowSeconds + 200 },
  "iat as text": { iat: String(nowSeconds) },
};

test.each(Object.entries(spoilt))("AN-21: refused: %s", async (_, claims) => {
  const key = await createDpopKey();
  const proof = await key.prove(request, claims);
  expect(await check().verify(evidenceOf(proof), request.token)).toHaveProperty("why");
});

test("AN-21: refused: another type, another's key, a private key, two proofs, none, junk", async () => {
  const [key, other] = [await createDpopKey(), await createDpopKey()];
  const good = await key.prove(request);
  const proofs = [
    await key.prove(request, {}, { typ: "JWT" }),
    await key.prove(request, {}, { jwk: other.jwk }),
    await key.prove(request, {}, { jwk: { ...key.jwk, d: "AAAA" } }),
    await key.prove(request, {}, { jwk: undefined }),
    `${good}, ${good}`,
    good.split(".").slice(0, 2).join("."),
    good.replace(/^[^.]+/, Buffer.from('{"typ":"dpop+jwt","alg":"none"}').toString("base64url")),
    "junk",
    "A".repeat(9_000),
    undefined,
  ];
  for (const proof of proofs) {
    const verdict = await check().verify(evidenceOf(proof), request.token);
    expect(verdict, String(proof).slice(0, 40)).toHaveProperty("why");
  }
});

test("AN-21: where a nonce is asked for, only one of ours will do", async () => {
  const key = await createDpopKey();
  const dpop = check(true);
  const without = await key.prove(request);
  expect(await dpop.verify(evidenceOf(without), request.token)).toMatchObject({ needsNonce: true });
  const foreign = await key.prove(request, { nonce: check(true).nonce() });
  expect(await dpop.verify(evidenceOf(foreign), request.token)).toMatchObject({ needsNonce: true });
  const good = await key.prove(request, { nonce: dpop.nonce() });
  expect(await dpop.verify(evidenceOf(good), request.token)).toHaveProperty("thumbprint");
  expect(check().nonce()).toBeUndefined();
});
