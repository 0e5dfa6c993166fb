// The messages of a conversation as the tree that they are: the branch that is shown, and the others beside it.
import type { Message } from "./chats";

export interface Tree {
  byId: Map<number, Message>;
  /** By what they follow (0: nothing), in the order of writing. */
  children: Map<number, Message[]>;
}

export function grow(messages: readonly Message[]): Tree {
  const byId = new Map<number, Message>();
  const children = new Map<number, Message[]>();
  for (const message of messages) {
    byId.set(message.id, message);
    const siblings = children.get(message.parent_id ?? 0);
    if (siblings) siblings.push(message);
    else children.set(message.parent_id ?? 0, [message]);
  }
  return { byId, children };
}

/** From the first message to `leaf`. */
export function path(tree: Tree, leaf: number | null): Message[] {
  const found: Message[] = [];
  // Not more often than there are messages: a circle must not keep the page busy for ever.
  for (let at = leaf === null ? undefined : tree.byId.get(leaf); at && found.length <= tree.byId.size; ) {
    found.push(at);
    at = at.parent_id === null ? undefined : tree.byId.get(at.parent_id);
  }
  return found.reverse();
}

/** All that stand where `message` stands, itself among them. */
export const siblings = (tree: Tree, message: Message): Message[] => tree.children.get(message.parent_id ?? 0) ?? [message];

/** The newest message below `message`, as the server finds it when a branch is chosen. */
export function leaf(tree: Tree, message: Message): Message {
  let at = message;
  for (let below = tree.children.get(at.id); below && below.length > 0; below = tree.children.get(at.id)) {
    at = below[below.length - 1] as Message;
  }
  return at;
}
