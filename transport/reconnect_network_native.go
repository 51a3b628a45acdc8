//go:build !js

package transport

func watchNetwork() network { return anyNetwork{} }
