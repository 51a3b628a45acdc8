module github.com/hopseal/hopseal/transport/adapt/internal/peers

go 1.26.0

require (
	github.com/gorilla/websocket v1.5.3
	github.com/hopseal/hopseal v0.0.0
	golang.org/x/net v0.60.0
)

require (
	github.com/coder/websocket v1.8.15 // indirect
	golang.org/x/crypto v0.58.0 // indirect
	golang.org/x/text v0.43.0 // indirect
)

replace github.com/hopseal/hopseal => ../../../..
