// Bundles the console into the folder named by the first argument: index.html, assets/ with hashed names, those that
// are text compressed by Brotli as well, and the licences of the packages whose code is in it.
import { mkdir, readdir, readFile, rm, writeFile } from "node:fs/promises";
import path from "node:path";
import { brotliCompressSync } from "node:zlib";
import { build } from "esbuild";

const here = import.meta.dirname ?? path.dirname(new URL(import.meta.url).pathname);
const out = path.resolve(process.argv[2] ?? path.join(here, "..", "static"));

await rm(path.join(out, "assets"), { recursive: true, force: true });
await mkdir(path.join(out, "assets"), { recursive: true });

const target = ["chrome109", "firefox115", "safari16.4"];

/** `worklet:./name` is the address of ./name.ts, bundled by itself: the audio thread loads one file, and no chunks. */
const worklets = {
  name: "worklets",
  setup(on) {
    on.onResolve({ filter: /^worklet:/ }, ({ path: name, resolveDir }) => ({
      path: path.join(resolveDir, `${name.slice("worklet:".length)}.js`),
      namespace: "worklet",
    }));
    on.onLoad({ filter: /./, namespace: "worklet" }, async ({ path: file }) => {
      const source = file.replace(/\.js$/, ".ts");
      const made = await build({ entryPoints: [source], bundle: true, format: "esm", target, minify: true, metafile: true, write: false });
      const watchFiles = Object.keys(made.metafile.inputs).map((name) => path.resolve(name));
      return { contents: made.outputFiles[0].contents, loader: "file", watchFiles };
    });
  },
};

/** Imports of style sheets say where rules are needed; what they are fetched by is the one sheet of all. */
const noStyles = {
  name: "no styles",
  setup(on) {
    on.onResolve({ filter: /\.css$/ }, ({ path: name }) => ({ path: name, namespace: "no-style", sideEffects: false }));
    on.onLoad({ filter: /./, namespace: "no-style" }, () => ({ contents: "" }));
  },
};

const shared = {
  absWorkingDir: here,
  entryPoints: { main: "src/main.tsx" },
  outdir: path.join(out, "assets"),
  entryNames: "[name]-[hash]",
  chunkNames: "[name]-[hash]",
  assetNames: "[name]-[hash]",
  publicPath: "/console/assets",
  bundle: true,
  format: "esm",
  target,
  jsx: "automatic",
  jsxImportSource: "preact",
  minify: true,
  metafile: true,
  legalComments: "linked",
  logLevel: "warning",
};

/** What the entry became: its file, and what is told of it. */
const entryOf = ({ metafile }) => {
  const entry = Object.entries(metafile.outputs).find(([, output]) => output.entryPoint === "src/main.tsx");
  if (!entry) throw new Error("the bundle has no entry point");
  return entry;
};

const result = await build({ ...shared, splitting: true, plugins: [noStyles, worklets] });
const entry = entryOf(result);

// All pages' rules in one file, in the order in which the modules import them: in files by page they would come in the
// order in which somebody opens the pages. Splitting would put what a page needs into a sheet that nothing loads.
const whole = await build({ ...shared, write: false, plugins: [worklets] });
const style = path.basename(entryOf(whole)[1].cssBundle);
for (const { path: file, contents } of whole.outputFiles) {
  if (path.basename(file).startsWith(style)) await writeFile(file, contents);
}

// What runs before the page is drawn: a script of its own, since modules wait for the whole document.
const early = await build({ ...shared, entryPoints: { early: "src/early.ts" }, format: "iife" });

// What the entry imports, and that in turn, is fetched at once instead of one level after the other.
const needed = new Set();
const follow = (output) => {
  for (const { path: file, kind } of output.imports) {
    if (kind !== "import-statement" || needed.has(file)) continue;
    needed.add(file);
    follow(result.metafile.outputs[file]);
  }
};
follow(entry[1]);
const url = (file) => `/console/assets/${path.basename(file)}`;
const page = (await readFile(path.join(here, "index.html"), "utf8"))
  .replace("{{preload}}", [...needed].map((file) => `<link rel="modulepreload" href="${url(file)}">`).join("\n    "))
  .replace("{{early}}", url(Object.keys(early.metafile.outputs)[0]))
  .replace("{{script}}", url(entry[0]))
  .replace("{{style}}", url(style));
await writeFile(path.join(out, "index.html"), page);

const packages = new Set(
  Object.keys(result.metafile.inputs).map((file) => /^node_modules\/((?:@[^/]+\/)?[^/]+)\//.exec(file)?.[1]).filter((name) => name !== undefined),
);
const licences = [];
for (const name of [...packages].sort()) {
  const folder = path.join(here, "node_modules", name);
  const file = (await readdir(folder)).find((one) => /^licen[cs]e/i.test(one));
  if (!file) throw new Error(`the package ${name} says nothing of its licence`);
  licences.push(`${name}\n\n${(await readFile(path.join(folder, file), "utf8")).trim()}\n`);
}
await writeFile(path.join(out, "licences.txt"), licences.join("\n\n"));

// Once, as well as it goes: the server keeps what it finds here, and compresses nothing while it is asked.
for (const file of await readdir(path.join(out, "assets"))) {
  const source = await readFile(path.join(out, "assets", file));
  const packed = brotliCompressSync(source);
  if (packed.length < source.length) await writeFile(path.join(out, "assets", `${file}.br`), packed);
}
