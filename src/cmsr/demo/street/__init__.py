"""The synthetic street behind `cmsr.demo.scene`: its materials, its bodies, its light."""
