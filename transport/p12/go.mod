module github.com/hopseal/hopseal/transport/p12

go 1.26.0

require (
	github.com/hopseal/hopseal v0.0.0
	software.sslmate.com/src/go-pkcs12 v0.7.4
)

require golang.org/x/crypto v0.58.0 // indirect

replace github.com/hopseal/hopseal => ../..
