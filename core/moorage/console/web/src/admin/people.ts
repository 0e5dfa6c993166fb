// Users as administration knows them.

export interface Row {
  id: string;
  /** The whole number that `/api/v1` knows the user by. */
  number: number;
  username: string;
  name: string;
  email: string | null;
  role: string;
  active: boolean;
  created_at: string;
  last_login_at: string | null;
  last_seen_at: string | null;
}

/** A role; `yours`: whoever is signed in may give it. */
export interface RoleChoice {
  name: string;
  users: number;
  yours: boolean;
}

export interface Page {
  users: Row[];
  total: number;
  roles: RoleChoice[];
}

export interface Details extends Row {
  has_password: boolean;
  /** Why whoever is signed in may not change them; null if they may. */
  refusal: string | null;
  identities: { provider: string; email: string | null; created_at: string; last_login_at: string | null }[];
  /** What each plugin says of them. */
  plugins: Record<string, Record<string, unknown>>;
  roles: RoleChoice[];
}

export const USERS = "/api/core/admin/users";
export const userPath = (id: string): string => `${USERS}/${encodeURIComponent(id)}`;

/** Signs that nobody takes for one another. */
const SIGNS = "abcdefghijkmnpqrstuvwxyzABCDEFGHJKLMNPQRSTUVWXYZ23456789";

/** A password of twenty signs, each as likely as any other. */
export function madeUp(): string {
  const bound = 256 - (256 % SIGNS.length);
  let text = "";
  while (text.length < 20) {
    for (const byte of crypto.getRandomValues(new Uint8Array(32))) {
      if (byte < bound && text.length < 20) text += SIGNS[byte % SIGNS.length];
    }
  }
  return text;
}
