"""The synthetic street behind `cmsr.app.demo.scene`: its materials, its bodies, its light."""
