/**
 * The cookies of the consent pages: one for each flow, so that two tabs do not disturb each other, `__Host-` and Secure
 * unless the operator named the exception for plain http on loopback. Their content is sealed elsewhere. Pure.
 */
export interface FlowCookies {
  /** Undefined where there is none, or more than one of that name. */
  read(request: Request, flow: string): string | undefined;
  set(flow: string, value: string): string;
  clear(flow: string): string;
  /** Lines that clear the flows a browser has too many of. */
  clearOld(request: Request): readonly string[];
}

const flowForm = /^[A-Za-z0-9_-]{12}$/;
const lifetimeSeconds = 600;
const flowsMax = 4;

/** Whether a text can be the name of a flow. */
export function isFlow(text: string | null): text is string {
  return text !== null && flowForm.test(text);
}

export function createFlowCookies(isSecure: boolean): FlowCookies {
  const prefix = isSecure ? "__Host-mcp-consent-" : "mcp-consent-";
  const flags = `Path=/; HttpOnly; SameSite=Lax${isSecure ? "; Secure" : ""}`;

  function own(request: Request): readonly { readonly flow: string; readonly value: string }[] {
    const header = request.headers.get("cookie") ?? "";
    return header.split(";").flatMap((pair) => {
      const [name = "", ...rest] = pair.trim().split("=");
      const flow = name.startsWith(prefix) ? name.slice(prefix.length) : null;
      return isFlow(flow) ? [{ flow, value: rest.join("=") }] : [];
    });
  }

  const clear = (flow: string) => `${prefix}${flow}=; ${flags}; Max-Age=0`;

  return {
    read(request, flow) {
      const [first, second] = own(request).filter((one) => one.flow === flow);
      return second === undefined ? first?.value : undefined;
    },
    set: (flow, value) => `${prefix}${flow}=${value}; ${flags}; Max-Age=${lifetimeSeconds}`,
    clear,
    clearOld(request) {
      const flows = own(request).map(({ flow }) => flow);
      return flows.length < flowsMax ? [] : flows.map(clear);
    },
  };
}
