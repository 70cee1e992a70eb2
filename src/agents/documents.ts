/**
 * What the listener answers by itself, without a credential: what this is, and how it is.
 */
import type { Admission } from "./admission.ts";
import { documentResponse } from "./http-response.ts";

export interface Documents {
  root(): Response;
  health(): Response;
}

export function createDocuments(deps: {
  readonly admission: Pick<Admission, "isDraining">;
  readonly version: string;
}): Documents {
  const rootDocument = {
    name: "mcp-gateway",
    version: deps.version,
    endpoints: ["/mcp", "/{scope}/mcp", "/{scope}/sse", "/ws", "/{scope}/ws", "/{scope}/ws-ticket"],
  };
  return {
    root: () => documentResponse(rootDocument),
    health() {
      const isDraining = deps.admission.isDraining();
      return documentResponse({ status: isDraining ? "draining" : "ok" }, isDraining ? 503 : 200);
    },
  };
}
