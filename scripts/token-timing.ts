/**
 * `bun scripts/token-timing.ts [--samples N]`: does the time of a refusal tell how much of a client token was right
 * (AN-16)? Times two kinds of wrong tokens in a shuffled order and prints Welch's t; beyond 4.5 either way is a
 * finding. For a quiet machine and by hand: nothing in CI asserts time.
 */
import { parseArgs } from "node:util";
import { createAuthenticator } from "../src/identity/authenticator.ts";
import { createClientToken, createTokenHasher } from "../src/identity/client-token.ts";
import { systemClock } from "../src/lib/clock.ts";

const { values } = parseArgs({ options: { samples: { type: "string", default: "1000000" } } });
const samples = Number(values.samples);
const limit = 4.5;

const hashToken = createTokenHasher(Buffer.alloc(32, 7));
const token = createClientToken();
const digest = hashToken(token);
const directory = {
  tokens: new Map([[digest, { clientId: "ci", digest, expiresAtMs: undefined }]]),
  clients: new Map([["ci", { id: "ci", enabled: true, roles: [] }]]),
};
const authenticator = createAuthenticator({
  hashToken,
  jwt: undefined,
  allowAnonymous: false,
  clock: systemClock,
  metrics: { count: () => {} },
});

interface Tally {
  count: number;
  mean: number;
  squares: number;
}

/** Welford's, so that a million samples take no memory. */
function add(tally: Tally, value: number): void {
  tally.count += 1;
  const before = value - tally.mean;
  tally.mean += before / tally.count;
  tally.squares += before * (value - tally.mean);
}

const last = token.endsWith("A") ? "B" : "A";
const kinds = [
  { token: token.slice(0, -1) + last, tally: { count: 0, mean: 0, squares: 0 } },
  { token: createClientToken(), tally: { count: 0, mean: 0, squares: 0 } },
] as const;
const rounds = crypto.getRandomValues(new Uint8Array(65_536));
for (let index = 0; index < samples + 10_000; index += 1) {
  const kind = kinds[((rounds[index % rounds.length] ?? 0) + (index >> 16)) & 1] ?? kinds[0];
  const startNs = Bun.nanoseconds();
  authenticator.authenticate({ kind: "bearer", token: kind.token }, directory);
  const took = Bun.nanoseconds() - startNs;
  // The first ones warm up, and a pause of the machine says nothing of the token.
  if (index >= 10_000 && took < 100_000) add(kind.tally, took);
}

const [near, far] = kinds.map(({ tally }) => tally);
if (near === undefined || far === undefined) throw new Error("two kinds are timed");
const spread = ({ count, squares }: Tally) => squares / (count - 1) / count;
const t = (near.mean - far.mean) / Math.sqrt(spread(near) + spread(far));
console.log(
  `${near.count + far.count} samples: nearly right ${near.mean.toFixed(1)} ns, wholly wrong ${far.mean.toFixed(1)} ns, t = ${t.toFixed(2)} (a finding beyond ${limit})`,
);
process.exitCode = Math.abs(t) > limit ? 1 : 0;
