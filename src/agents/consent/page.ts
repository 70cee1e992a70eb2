/**
 * The consent pages as HTML: plain, without script, everything that comes from elsewhere escaped. Pure. The style is
 * allowed by its digest, so that nothing else can be.
 */
import { createHash } from "node:crypto";
import type { ConsentQuestion, Refusal } from "../../consents/desk.ts";

const style = `
:root{color-scheme:light dark;--line:#d0d7de;--soft:#57606a;--go:#1f6feb;--back:#f6f8fa;--card:#fff;--text:#1f2328}
@media(prefers-color-scheme:dark){:root{--line:#3d444d;--soft:#9198a1;--go:#388bfd;--back:#0d1117;--card:#151b23;--text:#e6edf3}}
body{margin:0;background:var(--back);color:var(--text);font:16px/1.5 system-ui,sans-serif}
main{max-width:34rem;margin:8vh auto;padding:2rem;background:var(--card);border:1px solid var(--line);border-radius:12px}
h1{margin:0 0 1rem;font-size:1.4rem;line-height:1.3}
p{margin:.75rem 0}
dl{display:grid;grid-template-columns:max-content 1fr;gap:.4rem 1rem;margin:1.25rem 0;padding:1rem 0;border:solid var(--line);border-width:1px 0}
dt{color:var(--soft)}
dd{margin:0;overflow-wrap:anywhere}
ul{margin:0;padding-left:1.1rem}
form{display:flex;gap:.75rem;margin-top:1.5rem}
button,.go{flex:1;padding:.65rem 1rem;border:1px solid var(--line);border-radius:8px;background:transparent;color:inherit;font:inherit;font-weight:600;text-align:center;text-decoration:none;cursor:pointer}
.go{display:block;background:var(--go);border-color:var(--go);color:#fff}
button:focus-visible,.go:focus-visible{outline:3px solid var(--go);outline-offset:2px}
small{color:var(--soft)}
`;

const styleDigest = createHash("sha256").update(style).digest("base64");

export const contentPolicy =
  `default-src 'none'; style-src 'sha256-${styleDigest}'; form-action 'self'; ` +
  "base-uri 'none'; frame-ancestors 'none'";

export function questionPage(question: ConsentQuestion, flow: string, csrf: string): string {
  const { server, client, user, scopes, newScopes, issuer } = question;
  const listed = scopes.map((scope) => {
    return `<li>${escapeHtml(scope)}${newScopes.includes(scope) ? " <small>(new)</small>" : ""}</li>`;
  });
  const what =
    listed.length === 0 ? "whatever it grants by default" : `<ul>${listed.join("")}</ul>`;
  const who = client === undefined ? "an application without a name" : escapeHtml(client);
  return page(
    `Allow access to ${server}?`,
    `<p>An application that works for you wants to use <strong>${escapeHtml(server)}</strong> in your name.</p>
<dl><dt>Application</dt><dd>${who}</dd><dt>Server</dt><dd>${escapeHtml(server)}</dd>
<dt>Access</dt><dd>${what}</dd><dt>You are</dt><dd>${escapeHtml(userName(user))}</dd>
<dt>Next</dt><dd>you go on to ${escapeHtml(hostOf(issuer))}, which asks you too</dd></dl>
<p>Allow it only if you have just asked the application for this yourself.</p>
<form method="post" action="/consent"><input type="hidden" name="flow" value="${escapeHtml(flow)}">
<input type="hidden" name="token" value="${escapeHtml(csrf)}">
<button name="decision" value="deny">Deny</button>
<button class="go" name="decision" value="allow">Allow</button></form>`,
  );
}

/** A form must not lead elsewhere (form-action), so the way on is a page of its own. */
export function goPage(url: string): string {
  return page(
    "On to the authorization server",
    `<p>You are on your way to ${escapeHtml(hostOf(url))}.</p>
<p><a class="go" href="${escapeHtml(url)}">Continue</a></p>`,
    `<meta http-equiv="refresh" content="0;url=${escapeHtml(url)}">`,
  );
}

export function donePage(server: string): string {
  return page(
    `${server} is ready`,
    `<p>The application may use <strong>${escapeHtml(server)}</strong> in your name from now on.</p>
<p>Close this page and go back to it.</p>`,
  );
}

export function deniedPage(server: string): string {
  return page(
    "Nothing was allowed",
    `<p>The application cannot use <strong>${escapeHtml(server)}</strong> in your name. Close this page.</p>`,
  );
}

const refusals: Readonly<Record<Refusal, { readonly status: number; readonly text: string }>> = {
  "link-unknown": {
    status: 404,
    text: "This link was used already, is older than ten minutes, or is none of ours. Ask the application again.",
  },
  "login-failed": {
    status: 403,
    text: "You are not logged in. Open the link of the application again to try once more.",
  },
  "other-user": {
    status: 403,
    text: "This link was made for somebody else than you are logged in as, so nothing was allowed. If somebody sent it to you, do not use it.",
  },
  expired: {
    status: 400,
    text: "This step was done already, or took longer than ten minutes. Ask the application again.",
  },
  forged: {
    status: 403,
    text: "This request does not belong to the page it claims to come from. Nothing was allowed.",
  },
  "server-unusable": {
    status: 502,
    text: "The server's authorization server cannot be used at the moment. Nothing was allowed; its operators find the reason in the log.",
  },
  "not-authorized": {
    status: 403,
    text: "The authorization server did not give the access. Ask the application again to try once more.",
  },
  unavailable: {
    status: 503,
    text: "This cannot be done at the moment. Nothing was allowed; try again later.",
  },
};

export function refusalStatus(why: Refusal): number {
  return refusals[why].status;
}

export function refusalPage(why: Refusal): string {
  return page("This did not work", `<p>${escapeHtml(refusals[why].text)}</p>`);
}

/** `body` and `head` are HTML, `title` is text. */
function page(title: string, body: string, head = ""): string {
  return `<!doctype html>
<html lang="en"><head><meta charset="utf-8"><meta name="viewport" content="width=device-width,initial-scale=1">
<title>${escapeHtml(title)}</title>${head}<style>${style}</style></head>
<body><main><h1>${escapeHtml(title)}</h1>
${body}
</main></body></html>
`;
}

function escapeHtml(text: string): string {
  return text.replace(/[&<>"'`]/g, (one) => `&#${one.charCodeAt(0)};`);
}

/** Without the issuer: `user:https://login.example#ada` is ada at login.example. */
function userName(principal: string): string {
  const at = principal.indexOf("#");
  return `${principal.slice(at + 1)} at ${hostOf(principal.slice("user:".length, at))}`;
}

function hostOf(url: string): string {
  return URL.parse(url)?.host ?? url;
}
