module github.com/hopseal/hopseal/internal/bench

go 1.26.0

require (
	github.com/hopseal/hopseal v0.0.0
	golang.org/x/crypto v0.58.0
)

require (
	github.com/ccojocar/zxcvbn-go v1.0.4 // indirect
	github.com/tink-crypto/tink-go/v2 v2.9.0 // indirect
	golang.org/x/sys v0.49.0 // indirect
	google.golang.org/protobuf v1.36.11 // indirect
)

replace github.com/hopseal/hopseal => ../..
