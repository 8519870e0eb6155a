"""How the fusion methods that learn are taught what the extension ships for them."""
