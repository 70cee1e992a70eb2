/**
 * What the listener answers at fixed addresses, to whoever asks and without a credential: what this is, how it is, where
 * to get tokens, and the pages on which users consent.
 */
import { createFault, type Fault } from "../errors/fault.ts";
import type { Admission } from "./admission.ts";
import type { ConsentOffice } from "./consent/office.ts";
import { createDocuments } from "./documents.ts";
import { createOAuthDocuments, type OAuthDocumentsDeps } from "./oauth-documents.ts";
import type { Endpoint } from "./paths.ts";

/** An address at which everybody gets the same kind of answer. */
export type FixedEndpoint = Exclude<Endpoint, { readonly scope: string }>;

export interface FixedAnswersDeps extends OAuthDocumentsDeps {
  /** Undefined where no user can log in. */
  readonly consentOffice?: ConsentOffice | undefined;
}

export type FixedAnswers = (
  endpoint: FixedEndpoint,
  request: Request,
  query: string,
  address: string,
  baseUrl: string,
) => Response | Fault | Promise<Response | Fault>;

export function createFixedAnswers(
  deps: FixedAnswersDeps & {
    readonly admission: Pick<Admission, "isDraining" | "enter" | "leave">;
    readonly version: string;
  },
): FixedAnswers {
  const { admission, consentOffice } = deps;
  const own = createDocuments(deps);
  const documents = createOAuthDocuments(deps);

  /** Costs the database and others' servers something, so it takes a place like any call. */
  async function consent(
    path: Extract<FixedEndpoint, { kind: "consent" }>["step"],
    request: Request,
    query: string,
    address: string,
  ): Promise<Response | Fault> {
    if (consentOffice === undefined) return notFound;
    const full = admission.enter(address);
    if (full !== undefined) return full;
    try {
      return (await consentOffice.serve(path, request, query)) ?? wrongMethod;
    } finally {
      admission.leave(address);
    }
  }

  return (endpoint, request, query, address, baseUrl) => {
    switch (endpoint.kind) {
      case "root":
        return request.method === "GET" ? own.root() : getOnly;
      case "health":
        return own.health();
      case "resource-metadata":
        return (
          documents.resource(baseUrl + endpoint.resourcePath, endpoint.resourceScope) ?? notFound
        );
      case "authorization-server":
        return documents.authorizationServer() ?? notFound;
      case "consent":
        return consent(endpoint.step, request, query, address);
      default:
        return endpoint satisfies never;
    }
  };
}

export const notFound = createFault("scope-unknown", "Not found");
const getOnly = createFault("method-not-allowed", "Method not allowed: GET is, here");
const wrongMethod = createFault("method-not-allowed", "Method not allowed: this is a page");
