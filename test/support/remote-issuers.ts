/**
 * Issuers of JWTs whose keys are fetched over the network, for the fault suite: one whose key server is well, and others
 * whose key server fails in every way it can. All sign with one key, so a refusal is the key server's doing.
 */
import { generateKeyPairSync, sign } from "node:crypto";
import { assemble, type Json } from "./token-issuers.ts";

const failures = ["error", "page", "large", "moved", "silent", "refused"] as const;

export interface RemoteIssuers extends AsyncDisposable {
  /** What of the configuration makes the gateway believe them. */
  readonly config: Json;
  /** Where agents reach the gateway. */
  readonly publicUrl: string;
  /** Names of issuers whose keys cannot be had. */
  readonly broken: readonly string[];
  /** A token that holds now, of the issuer with this name. */
  token(name: string, claims?: Json, header?: Json): string;
  /** Times the keys of an issuer were asked for. */
  fetches(name: string): number;
  /** Whether anybody followed a redirect. */
  wasFollowed(): boolean;
}

/** `port` is the gateway's. */
export function createRemoteIssuers(port: number): RemoteIssuers {
  const publicUrl = `http://127.0.0.1:${port}`;
  const { publicKey, privateKey } = generateKeyPairSync("ec", { namedCurve: "P-256" });
  const keys = [{ ...publicKey.export({ format: "jwk" }), kid: "ec", use: "sig" }];
  const counts = new Map<string, number>();
  const answers: Readonly<Record<string, () => Response | Promise<Response>>> = {
    well: () => Response.json({ keys }),
    endpoint: () => Response.json({ keys }),
    error: () => new Response("no", { status: 500 }),
    page: () => new Response("<html>log in</html>", { headers: { "content-type": "text/html" } }),
    large: () => new Response(`{"keys":[],"pad":"${"x".repeat(300 * 1024)}"}`),
    moved: () => Response.redirect("/followed", 302),
    silent: () => new Promise<Response>(() => {}),
    followed: () => Response.json({ keys }),
  };
  const server = Bun.serve({
    hostname: "127.0.0.1",
    port: 0,
    fetch(request) {
      const name = new URL(request.url).pathname.slice(1);
      counts.set(name, (counts.get(name) ?? 0) + 1);
      return answers[name]?.() ?? new Response("", { status: 404 });
    },
  });
  const issuerOf = (name: string) => `https://${name}.example`;
  const issuers = ["well", ...failures].map((name) => ({
    issuer: issuerOf(name),
    audiences: ["gw"],
    algorithms: ["ES256"],
    // Port 1 is nobody's: the connection is refused.
    jwks_url: name === "refused" ? "http://127.0.0.1:1/keys" : new URL(name, server.url).href,
    allow_private_network: true,
  }));
  const forEndpoint = {
    issuer: issuerOf("endpoint"),
    audience: "resource",
    algorithms: ["ES256"],
    jwks_url: new URL("endpoint", server.url).href,
    allow_private_network: true,
  };
  return {
    config: {
      agents: { public_url: publicUrl },
      identity: { jwt: { issuers: [...issuers, forEndpoint] } },
    },
    publicUrl,
    broken: failures,
    token(name, claims = {}, header = {}) {
      const now = Math.floor((performance.timeOrigin + performance.now()) / 1000);
      const payload = {
        ...{ iss: issuerOf(name), aud: "gw", sub: "user-1", azp: "alice" },
        ...{ iat: now - 5, exp: now + 600, ...claims },
      };
      return assemble({ alg: "ES256", kid: "ec", ...header }, payload, (input) =>
        sign("sha256", Buffer.from(input), { key: privateKey, dsaEncoding: "ieee-p1363" }),
      );
    },
    fetches: (name) => counts.get(name) ?? 0,
    wasFollowed: () => counts.has("followed"),
    [Symbol.asyncDispose]: () => server.stop(true),
  };
}
