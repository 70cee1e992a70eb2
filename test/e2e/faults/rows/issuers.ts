/** Group AN where issuers are elsewhere: key servers that fail, kids nobody knows, tokens for one endpoint, tokens taken back. */
import { expect } from "bun:test";
import { type Row, refusalOf } from "../../../support/fault-suite.ts";
import type { RemoteIssuers } from "../../../support/remote-issuers.ts";
import { callText, eraOf, pathOf, transports } from "../../../support/wires.ts";
import { isCutOff, nobody } from "./authentication.ts";

export function issuerRows(remote: RemoteIssuers): readonly Row[] {
  const { publicUrl } = remote;
  return [
    {
      id: "AN-12",
      title: "keys that can be had let their tokens in, and keys that cannot let nobody in",
      transports,
      reachesServer: true,
      async run(stage, transport) {
        const answer = await refusalOf(stage, transport, remote.token("well"));
        expect(answer.text).toContain('"result"');
        for (const name of remote.broken) {
          await nobody(stage, transport, remote.token(name), name);
        }
        expect(remote.wasFollowed()).toBe(false);
      },
    },
    {
      id: "AN-13",
      title: "however many kids nobody knows, the keys are asked for once in a while",
      transports,
      async run(stage, transport) {
        const before = remote.fetches("well");
        const tokens = Array.from({ length: 40 }, () =>
          remote.token("well", {}, { kid: crypto.randomUUID() }),
        );
        await Promise.all(
          tokens.map((token) => nobody(stage, transport, token, "a kid nobody knows")),
        );
        expect(remote.fetches("well") - before).toBeLessThanOrEqual(1);
      },
    },
    {
      id: "AN-08",
      title: "a token for one endpoint is good at that endpoint alone",
      transports,
      reachesServer: true,
      async run(stage, transport) {
        const path = pathOf(transport, "tiny");
        const at = (aud: unknown) => remote.token("endpoint", { aud });
        const good = [
          publicUrl + path,
          publicUrl.toUpperCase() + path,
          ["https://other.example", publicUrl + path],
        ];
        for (const aud of good) {
          const answer = await refusalOf(stage, transport, at(aud));
          expect(answer.text, String(aud)).toContain('"result"');
        }
        const others = {
          "trailing slash": `${publicUrl}${path}/`,
          "another server": `${publicUrl}/other${path.slice("/tiny".length)}`,
          "the merge of everything": `${publicUrl}/mcp`,
          "the gateway alone": publicUrl,
          "another gateway": `https://other.example${path}`,
          "another name of this host": `${publicUrl.replace("127.0.0.1", "localhost")}${path}`,
          "path in other case": publicUrl + path.toUpperCase(),
          query: `${publicUrl}${path}?x`,
          wildcard: `${publicUrl}/*`,
          "everybody's": "*",
          empty: [],
        };
        for (const [what, aud] of Object.entries(others)) {
          await nobody(stage, transport, at(aud), what);
        }
        await nobody(stage, transport, at(undefined), "missing");
      },
    },
    {
      id: "AN-14",
      title: "a token that an operator revokes stops working on what it had opened",
      transports,
      async run(stage, transport) {
        const jti = crypto.randomUUID();
        const token = remote.token("well", { jti });
        await using wire = await stage.open(transport, token);
        await stage.admin.call("RevocationService", "RevokeTokens", {
          issuer: "https://well.example",
          token_ids: [jti],
        });
        const answer = await wire.send(callText(eraOf(transport)));
        await isCutOff(answer, wire, transport);
        await nobody(stage, transport, token, "revoked");
      },
    },
  ];
}
