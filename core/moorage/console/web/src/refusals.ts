// What `?error=CODE` means: a login at a provider ends that way when it fails.

const WORDS: Record<string, string> = {
  invalid_state: "The login was broken off or took too long. Begin it again, in this same browser.",
  oauth_denied: "You did not allow the login there. Begin again, or sign in with a password.",
  oauth_failed: "The login service did not answer as it should. Try again in a moment; if it stays so, tell whoever runs this server.",
  no_email: "The login service gave no e-mail address. Add one to your account there, then try again.",
  email_not_verified: "Your e-mail address is not verified there. Verify it at the login service, then try again.",
  email_domain: "Addresses of this domain may not sign in here. Use another account, or ask an administrator.",
  account_exists:
    "An account here has this e-mail address already. Sign in the way you always do, then link the login service on your account page.",
  identity_taken: "That login belongs to another account here. Sign in with it, or unlink it there first.",
  user_inactive: "This account is disabled. Ask an administrator to enable it.",
  invite_required: "You have no account here yet, and need an invite for one. Ask an administrator for a link.",
  invalid_invite: "This invite is unknown or was revoked. Ask for a new link.",
  invite_expired: "This invite has expired. Ask for a new link.",
  invite_exhausted: "This invite was used as often as it may be. Ask for a new link.",
  user_creation_failed: "The account could not be made. Try again; if it stays so, tell an administrator.",
  setup_required: "Nobody has an account here yet. The owner's is made first: `moorage serve` prints the link for it.",
  rate_limited: "Too many attempts. Wait some minutes, then try again.",
};

/** The error in words; a code that we do not know is named only when it looks like one. */
export function refusalOf(code: string): string {
  const known = Object.hasOwn(WORDS, code) ? WORDS[code] : undefined;
  return known ?? `The login failed${/^[a-z_]{1,40}$/.test(code) ? ` (${code})` : ""}. Try again.`;
}
