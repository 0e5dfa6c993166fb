// Programs, devices and rights in words.

/** Words that programs ask for by habit; they limit nothing. */
const IDENTITY = new Set(["openid", "profile", "email", "offline_access"]);

/** The permissions that a scope cuts a login down to; null where it leaves all of them. */
export function rights(scope: string): string[] | null {
  const named = scope.split(" ").filter((word) => word !== "" && !IDENTITY.has(word));
  return named.length === 0 ? null : named;
}

/** What the name of a permission for everybody's things ends in. */
export const ANY = ":any";

/** What is named as permissions are, by the plugin that it is of; "core" is the server itself. */
export function byPlugin<T extends { name: string }>(named: T[]): [plugin: string, T[]][] {
  const found = new Map<string, T[]>();
  for (const one of named) {
    const plugin = one.name.split(":", 1)[0] ?? "";
    found.set(plugin, [...(found.get(plugin) ?? []), one]);
  }
  return [...found];
}

const BROWSERS: [RegExp, string][] = [
  [/Edg(e|A|iOS)?\//, "Edge"],
  [/OPR\//, "Opera"],
  [/Firefox\/|FxiOS\//, "Firefox"],
  [/Chrom(e|ium)\/|CriOS\//, "Chrome"],
  [/Safari\//, "Safari"],
];
const SYSTEMS: [RegExp, string][] = [
  [/Android/, "Android"],
  [/iPhone|iPad/, "iOS"],
  [/Windows/, "Windows"],
  [/Mac OS X/, "macOS"],
  [/CrOS/, "ChromeOS"],
  [/Linux/, "Linux"],
];

const first = (table: [RegExp, string][], text: string): string | undefined =>
  table.find(([pattern]) => pattern.test(text))?.[1];

/** "Firefox on Linux" for a browser, else what the program calls itself. */
export function program(userAgent: string): string {
  if (userAgent === "") return "a program that does not say its name";
  const browser = userAgent.startsWith("Mozilla/") ? first(BROWSERS, userAgent) : undefined;
  if (browser === undefined) return userAgent.length > 60 ? `${userAgent.slice(0, 60)}…` : userAgent;
  const system = first(SYSTEMS, userAgent);
  return system === undefined ? browser : `${browser} on ${system}`;
}
