//go:build !js

package redial

func watchNetwork() network { return anyNetwork{} }
