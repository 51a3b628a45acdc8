// Runtimes that compile what a program imports, such as workerd, give a module: `init(core)` takes it. Bundlers give
// its address or its bytes, as they are configured: `init` takes those as well.
declare const core: WebAssembly.Module;
export default core;
