"""What a network learns from: file pairs or clean pictures, decoded once, cut into patches."""
