/**
 * URI patterns of virtual servers and templates: `*` stands for any run of characters, all else is literal. Linear
 * time: greedy with one point to fall back to.
 */
export function matchesUri(pattern: string, uri: string): boolean {
  let at = 0;
  let inPattern = 0;
  let starAt = -1;
  let resumeAt = 0;
  while (at < uri.length) {
    if (pattern[inPattern] === "*") {
      starAt = inPattern;
      inPattern += 1;
      resumeAt = at;
    } else if (pattern[inPattern] === uri[at]) {
      inPattern += 1;
      at += 1;
    } else if (starAt !== -1) {
      resumeAt += 1;
      at = resumeAt;
      inPattern = starAt + 1;
    } else return false;
  }
  while (pattern[inPattern] === "*") inPattern += 1;
  return inPattern === pattern.length;
}
