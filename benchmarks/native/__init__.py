"""Hand-written nets and loops, one a framework, with nothing of Keras: what this project is measured against."""
