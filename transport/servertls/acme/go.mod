module github.com/hopseal/hopseal/transport/servertls/acme

go 1.26.0

require (
	github.com/hopseal/hopseal v0.0.0-00010101000000-000000000000
	go.uber.org/goleak v1.3.0
	golang.org/x/crypto v0.58.0
	golang.org/x/net v0.60.0
)

require golang.org/x/text v0.43.0 // indirect

replace github.com/hopseal/hopseal => ../../..
