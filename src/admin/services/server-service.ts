/**
 * ServerService: registers MCP servers and virtual servers, and looks at the live ones. Registration needs no
 * reachable server; `CheckServer` says whether it is.
 */
import { GatewayError } from "../../errors/fault.ts";
import type { ServerService, Tool } from "../../gen/types.ts";
import type { CatalogueTool, ServerStatus } from "../../servers/client.ts";
import type { ServerSpec } from "../../servers/spec.ts";
import { needDistinctTools } from "../../state/resource-shapes.ts";
import type { Caller } from "../caller.ts";
import type { StateWriter } from "../change-state.ts";
import { needMessage } from "../convert/common.ts";
import {
  fromServer,
  fromStatus,
  fromVirtualServer,
  type ServerDefaults,
  toServerResource,
  toVirtualServerResource,
} from "../convert/servers.ts";
import { createResourceCrud } from "../resource-crud.ts";

export interface ServerServiceDeps {
  readonly state: StateWriter;
  readonly defaults: ServerDefaults;
  /** Throws invalid-params for a transport that may not be dialled; asked again at each connection. */
  readonly checkTransport: (server: ServerSpec) => void;
  /** The server's tools; `refresh` asks it again. Rejects with GatewayError upstream-*. */
  readonly listTools: (
    server: string,
    options: { readonly refresh: boolean; readonly signal: AbortSignal },
  ) => Promise<ReadonlyMap<string, CatalogueTool>>;
  /** Connects if needed. Resolves with a failing status too; rejects only for bugs. */
  readonly checkServer: (server: string, signal: AbortSignal) => Promise<ServerStatus>;
  readonly serverStatus: (server: string) => ServerStatus | undefined;
}

export function createServerService(deps: ServerServiceDeps): ServerService<Caller> {
  const servers = createResourceCrud({
    state: deps.state,
    kind: "server",
    noun: "server",
    nameOf: (server) => server.name,
    toResource: (message, previous, caller) => {
      const server = toServerResource(message, previous, deps.defaults);
      needDistinctTools(server.toolSettings, "server.tool_settings");
      needOwnReach(server, caller, deps.defaults);
      deps.checkTransport(server);
      return server;
    },
    fromStored: fromServer,
    sharesNamesWith: "virtual-server",
  });
  const tools = async (server: string, refresh: boolean, caller: Caller) => {
    await servers.get(server, caller);
    return toTools(await deps.listTools(server, { refresh, signal: caller.signal }));
  };
  return {
    async registerServer(request, caller) {
      const server = needMessage(request.server, "server");
      const { message, state_revision } = await servers.create(server, request, caller);
      return { server: message, state_revision };
    },
    async getServer({ name }, caller) {
      const server = await servers.get(name, caller);
      const status = deps.serverStatus(name);
      return { server, status: status && fromStatus(status) };
    },
    async listServers(request, caller) {
      const { messages, ...page } = await servers.list(request, caller);
      return { servers: messages, ...page };
    },
    async updateServer(request, caller) {
      const server = needMessage(request.server, "server");
      const { message, state_revision } = await servers.update(server, request, caller);
      return { server: message, state_revision };
    },
    deleteServer: (request, caller) => servers.delete(request.name, request, caller),

    listTools: async ({ server }, caller) => ({ tools: await tools(server, false, caller) }),
    refreshServer: async ({ name }, caller) => ({ tools: await tools(name, true, caller) }),
    async checkServer({ name }, caller) {
      await servers.get(name, caller);
      return { status: fromStatus(await deps.checkServer(name, caller.signal)) };
    },
    ...virtualServers(deps.state),
  };
}

function virtualServers(
  state: StateWriter,
): Pick<ServerService<Caller>, `${string}VirtualServer${"" | "s"}` & keyof ServerService<Caller>> {
  const bundles = createResourceCrud({
    state,
    kind: "virtual-server",
    noun: "virtual server",
    nameOf: (virtual) => virtual.name,
    toResource: toVirtualServerResource,
    fromStored: fromVirtualServer,
    sharesNamesWith: "server",
  });
  return {
    async createVirtualServer(request, caller) {
      const virtual = needMessage(request.virtual_server, "virtual_server");
      const { message, state_revision } = await bundles.create(virtual, request, caller);
      return { virtual_server: message, state_revision };
    },
    getVirtualServer: async ({ name }, caller) => ({
      virtual_server: await bundles.get(name, caller),
    }),
    async listVirtualServers(request, caller) {
      const { messages, ...page } = await bundles.list(request, caller);
      return { virtual_servers: messages, ...page };
    },
    async updateVirtualServer(request, caller) {
      const virtual = needMessage(request.virtual_server, "virtual_server");
      const { message, state_revision } = await bundles.update(virtual, request, caller);
      return { virtual_server: message, state_revision };
    },
    deleteVirtualServer: (request, caller) => bundles.delete(request.name, request, caller),
  };
}

/**
 * A command runs with the gateway's own rights and could read every tenant's data, and a private address is the
 * gateway's network and not the tenant's: both are for the operators of the whole gateway to give.
 */
function needOwnReach(server: ServerSpec, caller: Caller, defaults: ServerDefaults): void {
  if (caller.tenant === undefined) return;
  const refuse = (field: string): never => {
    const message = `${field}: needs an operator without a tenant`;
    throw new GatewayError("policy-denied", message, { reason: "gateway-wide" });
  };
  if (server.transport.kind === "stdio") refuse("server.stdio");
  if (server.allowPrivateNetwork && !defaults.allowPrivateNetwork) {
    refuse("server.allow_private_network");
  }
}

function toTools(catalogue: ReadonlyMap<string, CatalogueTool>): readonly Tool[] {
  return [...catalogue.values()].map(({ name, text }) => ({ name, definition_json: text }));
}
