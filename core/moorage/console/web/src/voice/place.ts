// What of voice somebody may use. It has no page of its own: it is part of the chat.

/** Names of permissions, as `state.user.permissions` lists them. */
export const MAY = {
  hear: "voice:stt:use",
  speak: "voice:tts:use",
} as const;
