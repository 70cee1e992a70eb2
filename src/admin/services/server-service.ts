/**
 * ServerService: registers MCP servers and virtual servers, and looks at the live ones. Registration needs no
 * reachable server; `CheckServer` says whether it is.
 */
import type { ServerService, Tool } from "../../gen/types.ts";
import type { CatalogueTool, ServerStatus } from "../../servers/client.ts";
import type { ServerSpec } from "../../servers/spec.ts";
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
    toResource: (message, previous) => {
      const server = toServerResource(message, previous, deps.defaults);
      deps.checkTransport(server);
      return server;
    },
    fromStored: fromServer,
  });
  const tools = async (server: string, refresh: boolean, signal: AbortSignal) => {
    await servers.get(server);
    return toTools(await deps.listTools(server, { refresh, signal }));
  };
  return {
    async registerServer(request, caller) {
      const server = needMessage(request.server, "server");
      const { message, state_revision } = await servers.create(server, request, caller);
      return { server: message, state_revision };
    },
    async getServer({ name }) {
      const server = await servers.get(name);
      const status = deps.serverStatus(name);
      return { server, status: status && fromStatus(status) };
    },
    async listServers(request) {
      const { messages, ...page } = await servers.list(request);
      return { servers: messages, ...page };
    },
    async updateServer(request, caller) {
      const server = needMessage(request.server, "server");
      const { message, state_revision } = await servers.update(server, request, caller);
      return { server: message, state_revision };
    },
    deleteServer: (request, caller) => servers.delete(request.name, request, caller),

    listTools: async ({ server }, { signal }) => ({ tools: await tools(server, false, signal) }),
    refreshServer: async ({ name }, { signal }) => ({ tools: await tools(name, true, signal) }),
    async checkServer({ name }, { signal }) {
      await servers.get(name);
      return { status: fromStatus(await deps.checkServer(name, signal)) };
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
  });
  return {
    async createVirtualServer(request, caller) {
      const virtual = needMessage(request.virtual_server, "virtual_server");
      const { message, state_revision } = await bundles.create(virtual, request, caller);
      return { virtual_server: message, state_revision };
    },
    getVirtualServer: async ({ name }) => ({ virtual_server: await bundles.get(name) }),
    async listVirtualServers(request) {
      const { messages, ...page } = await bundles.list(request);
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

function toTools(catalogue: ReadonlyMap<string, CatalogueTool>): readonly Tool[] {
  return [...catalogue.values()].map(({ name, text }) => ({ name, definition_json: text }));
}
