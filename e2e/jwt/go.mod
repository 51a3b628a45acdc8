module github.com/hopseal/hopseal/e2e/jwt

go 1.26.0

require (
	github.com/hopseal/hopseal v0.0.0
	github.com/hopseal/hopseal/transport/jwtauth v0.0.0
)

require (
	github.com/coder/websocket v1.8.15 // indirect
	github.com/flynn/noise v1.1.0 // indirect
	github.com/go-jose/go-jose/v4 v4.1.8 // indirect
	github.com/tink-crypto/tink-go/v2 v2.9.0 // indirect
	golang.org/x/crypto v0.58.0 // indirect
	golang.org/x/net v0.60.0 // indirect
	golang.org/x/sys v0.49.0 // indirect
	golang.org/x/text v0.43.0 // indirect
	google.golang.org/protobuf v1.36.11 // indirect
)

replace (
	github.com/hopseal/hopseal => ../..
	github.com/hopseal/hopseal/transport/jwtauth => ../../transport/jwtauth
)
