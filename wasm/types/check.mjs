// Compiles page.ts and server.ts against the declarations, with the newest compiler and two older ones.
//
//	npm ci --ignore-scripts && node check.mjs
import { execFileSync } from "node:child_process";
import { cpSync, mkdirSync, readFileSync, rmSync } from "node:fs";
import { fileURLToPath } from "node:url";

const here = fileURLToPath(new URL(".", import.meta.url));
const packed = `${here}node_modules/hopseal/`;

// The package as it is published: its list of files counts.
const { files } = JSON.parse(readFileSync(`${here}../npm/package.json`, "utf8"));
rmSync(packed, { recursive: true, force: true });
mkdirSync(packed, { recursive: true });
for (const file of ["package.json", ...files.filter((name) => name.endsWith(".ts"))]) cpSync(`${here}../npm/${file}`, packed + file);

const programs = {
  page: ["--lib", "es2022,dom,dom.iterable", "--typeRoots", "nothing"],
  server: ["--lib", "es2022", "--types", "node"],
};
let failed = false;
for (const compiler of ["typescript", "typescript-old"]) {
  const { bin, version } = JSON.parse(readFileSync(`${here}node_modules/${compiler}/package.json`, "utf8"));
  const tsc = `${here}node_modules/${compiler}/${bin.tsc}`;
  for (const [program, flags] of Object.entries(programs)) {
    const options = ["--strict", "--noEmit", "--target", "es2022", "--module", "nodenext", "--moduleResolution", "nodenext"];
    try {
      execFileSync(process.execPath, [tsc, ...options, ...flags, `${program}.ts`], { cwd: here, encoding: "utf8", stdio: "pipe" });
      console.log(`${program}.ts compiles with TypeScript ${version}`);
    } catch (error) {
      failed = true;
      console.log(`${program}.ts does not compile with TypeScript ${version}:\n${error.stdout || error}`);
    }
  }
}
process.exitCode = failed ? 1 : 0;
