// Command wasm is the browser face of Hopseal: built with GOOS=js GOARCH=wasm it is
// the core.wasm of the npm package in wasm/npm, which has the JavaScript API, its
// types and its README.
//
//	go run ./wasm/build      writes core.wasm and runtime.js into wasm/npm
//
// Here are only the two exports; what they do is in wasm/internal/core.
package main
