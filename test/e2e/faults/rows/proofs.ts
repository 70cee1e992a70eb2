/** What a caller must prove beside a good credential: AN-14, AN-21, and the requirements A07 and A08 in its terms. */
import { expect } from "bun:test";
import { type Row, refusalOf, type Stage } from "../../../support/fault-suite.ts";
import { generousLimits, registerClient } from "../../../support/operator.ts";
import { createDpopKey, type DpopKey } from "../../../support/proofs.ts";
import { createSigner } from "../../../support/request-signer.ts";
import { ecIssuer, type TokenIssuers } from "../../../support/token-issuers.ts";
import { callText, eraOf, type Prove, type Transport, transports } from "../../../support/wires.ts";

const rights = { allowed_tools: ["tiny__echo"], limits: generousLimits };

/** A proof for each request; `claims` and `header` spoil it. */
function proverOf(key: DpopKey, claims: object = {}, header: object = {}): Prove {
  return async ({ method, url, token = "" }) => ({
    Authorization: `DPoP ${token}`,
    DPoP: await key.prove({ method, url: url.split("?", 1)[0] ?? "", token }, claims, header),
  });
}

async function isRefused(
  stage: Stage,
  transport: Transport,
  token: string,
  prove: Prove | undefined,
  challenge: string,
): Promise<void> {
  const answer = await refusalOf(stage, transport, token, prove === undefined ? {} : { prove });
  expect(answer.status, `${challenge}: ${answer.text}`).toBe(401);
  expect(answer.code).toBe(40101);
  expect(answer.headers.get("www-authenticate")).toContain(challenge);
}

async function update(stage: Stage, id: string, more: object): Promise<void> {
  await stage.admin.call("ClientService", "UpdateClient", {
    client: { id, enabled: true, ...rights, ...more },
  });
}

export function proofRows(issuers: TokenIssuers): readonly Row[] {
  const boundTo = (cnf: unknown) => issuers.es256(issuers.claims(ecIssuer, { cnf }));

  return [
    {
      id: "AN-21",
      title: "a token bound to a key comes in with a proof by that key",
      transports,
      reachesServer: true,
      async run(stage, transport) {
        const key = await createDpopKey();
        const prove = proverOf(key);
        const answer = await refusalOf(stage, transport, boundTo({ jkt: key.thumbprint }), {
          prove,
        });
        expect(answer.text).toContain('"result"');
      },
    },
    {
      id: "AN-21",
      title: "and never without it, with another's, or with one that was not made for this",
      transports,
      audit: { event: "authn.failed", reason: "unauthenticated" },
      async run(stage, transport) {
        const [key, thief] = [await createDpopKey(), await createDpopKey()];
        const token = boundTo({ jkt: key.thumbprint });
        const refused = (prove: Prove | undefined, challenge: string) =>
          isRefused(stage, transport, token, prove, challenge);
        await refused(undefined, "Bearer resource_metadata=");
        const invalid = 'error="invalid_dpop_proof"';
        await refused(proverOf(thief), invalid);
        await refused(proverOf(key, { htm: "PATCH" }), invalid);
        await refused(proverOf(key, { htu: `${stage.gateway.agents}/other/mcp` }), invalid);
        await refused(proverOf(key, { iat: 1 }), invalid);
        await refused(proverOf(key, { ath: "AAAA" }), invalid);
        await refused(proverOf(key, {}, { jwk: thief.jwk }), invalid);
        await refused(async () => ({ Authorization: `DPoP ${token}` }), invalid);
      },
    },
    {
      id: "AN-21",
      title: "a proof is good once",
      transports: ["http-modern", "ws-legacy", "ws-modern"],
      reachesServer: true,
      async run(stage, transport) {
        const key = await createDpopKey();
        const token = boundTo({ jkt: key.thumbprint });
        const prove = proverOf(key, { jti: crypto.randomUUID() });
        const first = await refusalOf(stage, transport, token, { prove });
        expect(first.text).toContain('"result"');
        await isRefused(stage, transport, token, prove, 'error="invalid_dpop_proof"');
      },
    },
    {
      id: "AN-21",
      title: "a token that is bound to nothing is no DPoP token, and an unknown binding binds",
      transports,
      async run(stage, transport) {
        const key = await createDpopKey();
        const invalid = 'error="invalid_token"';
        const plain = issuers.es256(issuers.claims(ecIssuer));
        await isRefused(stage, transport, plain, proverOf(key), invalid);
        await isRefused(stage, transport, stage.token, proverOf(key), invalid);
        await isRefused(stage, transport, boundTo({ kid: "k" }), undefined, invalid);
        await isRefused(stage, transport, boundTo({ "x5t#S256": "A" }), undefined, invalid);
      },
    },
    {
      id: "AN-21",
      title: "A07: a client that must sign is heard when it signs, and not otherwise",
      transports,
      reachesServer: true,
      async run(stage, transport) {
        const id = `signing-${transport}`;
        const token = await registerClient(stage.admin, id, rights);
        const { secret } = await stage.admin.call<{ secret: string }>(
          "ClientService",
          "IssueSigningSecret",
          { client_id: id, key_id: "k1" },
        );
        const { client } = await stage.admin.call<{ client: { signing_keys: object[] } }>(
          "ClientService",
          "GetClient",
          { id },
        );
        await update(stage, id, { signing_keys: client.signing_keys, require_signatures: true });
        const good = createSigner({ keyId: "k1", secret });
        const answer = await refusalOf(stage, transport, token, { prove: good });
        expect(answer.text).toContain('"result"');

        const seen = stage.upstream.seen.length;
        const spoilt: Readonly<Record<string, Prove | undefined>> = {
          "a signature is needed": undefined,
          "it does not verify": createSigner({ keyId: "k1", secret: stage.token }),
          "its keyid is not one": createSigner({ keyId: "k2", secret }),
          "created is more than": createSigner({ keyId: "k1", secret, createdSeconds: 1 }),
          "it needs a nonce": createSigner({ keyId: "k1", secret, nonce: "short" }),
        };
        for (const [why, prove] of Object.entries(spoilt)) {
          const more = prove === undefined ? {} : { prove };
          const refusal = await refusalOf(stage, transport, token, more);
          expect(refusal.status, why).toBe(401);
          expect(refusal.text).toContain(`Request signature refused: ${why}`);
        }
        if (transport.startsWith("http")) {
          const other = createSigner({ keyId: "k1", secret, body: "{}" });
          const refusal = await refusalOf(stage, transport, token, { prove: other });
          expect(refusal.text).toContain("Content-Digest is not the body's");
        }
        expect(stage.upstream.seen.length).toBe(seen);
      },
    },
    {
      id: "AN-14",
      title: "A08: a network that is taken away ends what was opened from there",
      transports,
      audit: { event: "authn.failed", reason: "unauthenticated:network-denied" },
      async run(stage, transport) {
        const id = `networked-${transport}`;
        const token = await registerClient(stage.admin, id, {
          ...rights,
          allowed_networks: ["127.0.0.0/8"],
        });
        await using wire = await stage.open(transport, token);
        await update(stage, id, { denied_networks: ["127.0.0.1"] });
        const answer = await wire.send(callText(eraOf(transport)));
        if (transport.startsWith("ws")) {
          if (answer.closeCode === undefined) expect(answer.code).toBe(40101);
          const last = answer.closeCode === undefined ? await wire.send("{}") : answer;
          expect(last.closeCode).toBe(4401);
        } else expect(answer.status).toBe(401);
        const refused = await refusalOf(stage, transport, token);
        expect(refused.status).toBe(401);
        const unknown = await refusalOf(stage, transport, "mcpgw_unknown");
        expect(refused.text).toBe(unknown.text);
      },
    },
  ];
}
