module example.com/conformance

go 1.26.0

require (
	github.com/hotgo/hotgo v0.0.0
	google.golang.org/protobuf v1.36.12
)

replace github.com/hotgo/hotgo => ../../../../../..
