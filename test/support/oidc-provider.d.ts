/** What the tests use of the package, which brings no types of its own. */
declare module "oidc-provider" {
  import type { IncomingMessage, ServerResponse } from "node:http";

  interface Interaction {
    readonly prompt: { readonly name: string; readonly details: Readonly<Record<string, unknown>> };
    readonly params: Readonly<Record<string, string>>;
    readonly session?: { readonly accountId: string };
    readonly grantId?: string;
  }

  interface Grant {
    addOIDCScope(scope: string): void;
    addResourceScope(resource: string, scope: string): void;
    save(): Promise<string>;
  }

  interface IssuedToken {
    resourceServer: object;
    scope: string;
    save(): Promise<string>;
  }

  export class Provider {
    readonly ClientCredentials: new (
      fields: object,
    ) => IssuedToken;
    readonly ResourceServer: new (
      resource: string,
      facts: object,
    ) => object;
    constructor(issuer: string, configuration: object);
    readonly Grant: new (facts: {
      accountId: string;
      clientId: string;
    }) => Grant;
    callback(): (request: IncomingMessage, response: ServerResponse) => Promise<void>;
    interactionDetails(request: IncomingMessage, response: ServerResponse): Promise<Interaction>;
    interactionFinished(
      request: IncomingMessage,
      response: ServerResponse,
      result: object,
    ): Promise<void>;
    registerGrantType(
      name: string,
      grant: (context: never) => Promise<void>,
      parameters: readonly string[],
    ): void;
    on(event: string, heard: (...facts: unknown[]) => void): void;
  }
}
