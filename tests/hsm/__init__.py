"""The HSM room over real SoftHSM2 and p11-kit. A missing SoftHSM2 fails the tests."""
