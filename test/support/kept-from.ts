/** What is kept of whoever opened a session, for tests that open one without a caller. */
import type { KeptFrom } from "../../src/agents/legacy/sessions.ts";

export function keptFromOf(digest = "t"): KeptFrom {
  return {
    binding: "http",
    scope: "notes",
    credential: { kind: "bearer", token: "" },
    peer: { address: "127.0.0.1" },
    digest,
  };
}
