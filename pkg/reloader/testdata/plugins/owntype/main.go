// Command owntype is a plugin built by hand whose Price takes a type of its own.
package main

// Order is a type that no host can bind.
type Order struct{ Items int }

// Price is never called.
func Price(o Order) int { return o.Items }

func main() {}
