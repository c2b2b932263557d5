"""Hand-written nets and loops without Keras, one per framework: what this project is measured against."""
