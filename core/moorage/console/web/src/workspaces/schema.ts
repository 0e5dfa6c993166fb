// JSON Schema as far as a form can show it: which field a schema asks for, and the value of what was typed.

export type Schema = Record<string, unknown>;

/** What is typed so far, as a tree like the schema's. Nothing: untouched. */
export interface Draft {
  text?: string;
  fields?: Record<string, Draft>;
  items?: Draft[];
}

type Shape =
  | { kind: "text" | "number" | "integer" | "boolean" | "json"; schema: Schema }
  | { kind: "choice"; schema: Schema; options: unknown[] }
  | { kind: "object"; schema: Schema; properties: [string, Schema][]; required: Set<string> }
  | { kind: "list"; schema: Schema; items: Schema };

/** What is wrong, by the place as a JSON Pointer. */
export type Problems = Record<string, string>;

const DEEPEST = 4;
const SIMPLE = new Set(["text", "number", "integer", "boolean", "choice"]);

export const isObject = (value: unknown): value is Schema => typeof value === "object" && value !== null && !Array.isArray(value);

/** The pointer to a part. */
export const at = (place: string, name: string | number): string => `${place}/${String(name).replaceAll("~", "~0").replaceAll("/", "~1")}`;

function pointed(root: Schema, reference: string): Schema | null {
  if (!reference.startsWith("#/")) return null;
  let found: unknown = root;
  for (const part of reference.slice(2).split("/")) {
    const name = decodeURIComponent(part).replaceAll("~1", "/").replaceAll("~0", "~");
    found = isObject(found) && Object.hasOwn(found, name) ? found[name] : undefined;
  }
  return isObject(found) ? found : null;
}

/** Without references, and without the "or null" that optional things have. Null: more than that is said. */
function plain(root: Schema, schema: Schema): Schema | null {
  let found = schema;
  for (let steps = 0; steps < 16; steps += 1) {
    if (typeof found["$ref"] === "string") {
      const target = pointed(root, found["$ref"]);
      if (target === null) return null;
      const { $ref: _, ...rest } = found;
      found = { ...target, ...rest };
      continue;
    }
    const ways = found["anyOf"] ?? found["oneOf"] ?? found["allOf"];
    // What is said beyond a type is for the server to check.
    if (ways === undefined || found["type"] !== undefined) return found;
    const others = Array.isArray(ways) ? ways.filter((one) => !(isObject(one) && one["type"] === "null")) : [];
    if (others.length !== 1 || !isObject(others[0])) return null;
    const { anyOf: _a, oneOf: _o, allOf: _l, ...rest } = found;
    found = { ...others[0], ...rest };
  }
  return null;
}

export function shapeOf(root: Schema, given: unknown, depth = 0): Shape {
  const asked: Schema = isObject(given) ? given : {};
  const schema = plain(root, asked);
  if (schema === null) return { kind: "json", schema: asked };
  if (Array.isArray(schema["enum"])) return { kind: "choice", schema, options: schema["enum"] };
  if ("const" in schema) return { kind: "choice", schema, options: [schema["const"]] };
  const types = Array.isArray(schema["type"]) ? schema["type"].filter((one) => one !== "null") : [schema["type"]];
  const type = types.length === 1 ? types[0] : undefined;
  if (type === "string") return { kind: "text", schema };
  if (type === "number" || type === "integer" || type === "boolean") return { kind: type, schema };
  if (type === "object" && isObject(schema["properties"]) && depth < DEEPEST) {
    const required = Array.isArray(schema["required"]) ? schema["required"].filter((one) => typeof one === "string") : [];
    const properties = Object.entries(schema["properties"]).map(([name, one]): [string, Schema] => [name, isObject(one) ? one : {}]);
    return { kind: "object", schema, properties, required: new Set(required) };
  }
  if (type === "array" && isObject(schema["items"])) {
    if (SIMPLE.has(shapeOf(root, schema["items"], depth + 1).kind)) return { kind: "list", schema, items: schema["items"] };
  }
  return { kind: "json", schema };
}

/** Whether a text is likely to have several lines. */
export const isLong = (name: string, value: string): boolean =>
  value.includes("\n") || /(^|_)(content|text|body|code|message|diff|patch|prompt|script|html|markdown|sql)s?$/i.test(name);

const json = (value: unknown): string => JSON.stringify(value, null, 2);

/** A value as it would have been typed. */
export function draftOf(root: Schema, given: unknown, value: unknown, depth = 0): Draft {
  const shape = shapeOf(root, given, depth);
  if (shape.kind === "object") {
    const from = isObject(value) ? value : {};
    const fields: Record<string, Draft> = {};
    for (const [name, schema] of shape.properties) {
      const inside = Object.hasOwn(from, name) ? from[name] : plain(root, schema)?.["default"];
      fields[name] = draftOf(root, schema, inside, depth + 1);
    }
    return { fields };
  }
  if (value === undefined || value === null) return {};
  if (shape.kind === "list") return Array.isArray(value) ? { items: value.map((one) => draftOf(root, shape.items, one, depth + 1)) } : {};
  if (shape.kind === "choice") {
    const index = shape.options.findIndex((one) => json(one) === json(value));
    return index < 0 ? {} : { text: String(index) };
  }
  return { text: shape.kind === "json" ? json(value) : String(value) };
}

/** The value of what was typed; undefined: nothing. What is wrong is put into `problems`. */
export function valueOf(root: Schema, given: unknown, draft: Draft, required: boolean, problems: Problems, place = "", name = "", depth = 0): unknown {
  const shape = shapeOf(root, given, depth);
  const text = draft.text ?? "";
  if (shape.kind === "object") {
    const found: Record<string, unknown> = {};
    const inside: Problems = {};
    for (const [part, schema] of shape.properties) {
      const value = valueOf(root, schema, draft.fields?.[part] ?? {}, shape.required.has(part), inside, at(place, part), part, depth + 1);
      if (value !== undefined) Object.defineProperty(found, part, { value, enumerable: true, configurable: true, writable: true });
    }
    const untouched = !required && depth > 0 && Object.keys(found).length === 0;
    if (!untouched) Object.assign(problems, inside);
    return untouched ? undefined : found;
  }
  if (shape.kind === "list") {
    const items = draft.items ?? [];
    if (items.length === 0) return required ? [] : undefined;
    return items.map((one, index) => valueOf(root, shape.items, one, true, problems, at(place, index), name, depth + 1));
  }
  if (shape.kind === "choice") {
    if (text !== "") return shape.options[Number(text)];
    if (required && shape.options.length === 1) return shape.options[0];
  } else if (text !== "") {
    return scalar(shape.kind, text, place, problems);
  }
  // A text of several lines may well be empty.
  if (required && shape.kind === "text" && isLong(name, text)) return "";
  if (required) problems[place] = shape.kind === "choice" || shape.kind === "boolean" ? "Choose one." : "Fill this in.";
  return undefined;
}

function scalar(kind: Shape["kind"], text: string, place: string, problems: Problems): unknown {
  if (kind === "text") return text;
  if (kind === "boolean") return text === "true";
  if (kind === "json") {
    try {
      return JSON.parse(text) as unknown;
    } catch {
      problems[place] = 'This is no JSON. Texts need quotes: "so".';
      return undefined;
    }
  }
  const number = Number(text.trim());
  if (text.trim() === "" || !Number.isFinite(number)) problems[place] = "This is no number.";
  else if (kind === "integer" && !Number.isInteger(number)) problems[place] = "This must be a whole number.";
  return number;
}
